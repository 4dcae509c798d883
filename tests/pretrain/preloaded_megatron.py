"""What the fork server loads once, so that a stage in a test starts without 3 s of imports."""

import warnings

from pretrain import cpu

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # megatron-core tells of the optional packages that it does not find
    cpu.install()
    import pretrain.checkpoint.save
    import pretrain.data
    import pretrain.local_layers
    import pretrain.model
    import pretrain.parity
    import pretrain.train
    import pretrain.validate  # noqa: F401
