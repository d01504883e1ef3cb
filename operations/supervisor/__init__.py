"""All planes and a broker on one machine: started, watched, ended."""
