"""What costs what: runs beside their bare passes, direct calls beside other libraries, whole runs."""
