"""What happens at the counter.

Pure, and all of the decisions: `basket` (what is being bought), `pricing` (what a
basket or a client's request costs), `selling` (it becomes a fact), `business_day`,
`receipt` (the paper), `stages` (a sale that is not finished). `selling` and `stages` run
inside a unit of work they are given.

Around them stand two tasks for each till: `till` takes scans and commands one at a time,
`printing` puts slips on paper in the order sold, and never makes a sale wait.
"""
