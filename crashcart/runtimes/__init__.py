"""What can run a design, one file each behind `ports.Runtime`. `local.py`: processes of this machine."""
