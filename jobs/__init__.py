"""Entry points for `ray job submit`, a module for each job: `python -m microdesign.jobs.JOB CONFIG [--set a.b=value]`.

A job reads its config, connects to the cluster, calls one function, and prints the result as JSON.
"""
