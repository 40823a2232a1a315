"""Axioms: does a map add up, ignore a shift that the network ignores, and name the pixels that the network uses?"""
