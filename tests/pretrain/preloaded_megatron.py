"""What the fork server loads once, so that a stage in a test starts without 3 s of imports."""

import gc
import warnings

from pretrain import cpu

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # megatron-core tells of the optional packages that it does not find
    cpu.install()
    import torch._dynamo  # noqa: F401  # the first optimizer of a process imports it: 0.4 s

    import pretrain.checkpoint.save
    import pretrain.data
    import pretrain.local_layers
    import pretrain.model
    import pretrain.parity
    import pretrain.train
    import pretrain.validate  # noqa: F401

gc.freeze()  # Megatron collects garbage at every save and load: 0.2 s, if it looks at all that was imported
