"""From a talking video to an avatar."""
