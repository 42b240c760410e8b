"""A folder of cases as one report: results with intervals, worst and best cases, text for a paper."""
