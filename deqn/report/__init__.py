"""What a run leaves for the reader: tables of errors and moments, figures by age and over training.

Everything here reads files of a run folder only, so that it works without TensorFlow, on a laptop which holds nothing
but the copied folder, and beside a run that is still training.
"""
