"""Where a campaign's evaluations run: Ray tasks, processes of this machine, or a batch system of your own."""
