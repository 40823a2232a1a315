"""Metrics of maps alone: on how few pixels do they lie?"""
