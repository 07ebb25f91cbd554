"""Back ends on the CPU.  Their engines are imported when one of them is opened."""
