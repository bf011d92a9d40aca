"""What methods are made of: masks, projections, narrowing, losses, the job."""
