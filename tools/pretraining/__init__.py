"""What only the pretraining of the toy CLIP needs."""
