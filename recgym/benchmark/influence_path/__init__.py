"""What is benched on InfluencePath: the suite, the studies, the tables of the IRS paper."""
