"""The visible loop: process, publish, replay; and the ports that they need."""
