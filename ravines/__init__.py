"""From Ravines to ResNets: what chapters and assignments import."""
