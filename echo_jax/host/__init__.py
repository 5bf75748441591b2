"""What every program that trains shares: progress, interrupts, compiled programs."""
