import torch

from cmdg_plugin.models.identity_features import mean_of_identities


def test_matches_loops() -> None:
    features, identities = torch.randn(6, 3, dtype=torch.float64), [1, 0, 1, 2, 1, 0]
    means = mean_of_identities(features, torch.tensor(identities))
    for identity in range(3):
        own = [f / f.norm() for f, i in zip(features, identities, strict=True) if i == identity]
        torch.testing.assert_close(means[identity], sum(own) / len(own), rtol=1e-12, atol=0)
