"""ssl-kit: self-supervised pre-training of any timm encoder, with domain knowledge in plugins.

The functions do what the commands of `ssl-kit` do; an argument is called like the flag:

    run = ssl_kit.train(domain="sar", data="chips/", max_time="30m", quiet=False)
    print(ssl_kit.evaluate(run))
    features = ssl_kit.load(run)(images)

| to                              | names                                                       |
|---------------------------------|-------------------------------------------------------------|
| look at images                  | inspect, open_data, views                                   |
| pre-train and fine-tune         | train, tune, finetune                                       |
| measure                         | evaluate, compare, report                                   |
| use an encoder                  | load, embed, export                                         |
| write a plugin                  | hookimpl, Config, validate                                  |
| write a reader                  | Dataset, Index, Sample, Image                               |
| write a domain                  | Domain, Corruption, Pairing, View                           |
| write an objective              | Objective, Batch, Output, TrainingInfo, View, Encoder       |
| write an evaluation             | Evaluation                                                  |
| handle errors                   | SslKitError, UsageError, UnknownNameError, PluginError,     |
|                                 | DataError, RunError                                         |

What plugins are made of stands in `ssl_kit.nn`, `ssl_kit.data` and `ssl_kit.evaluation`.
"""

import os

import lazy_loader

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks PyPI on import otherwise

# The names of __init__.pyi, each imported on first use: importing ssl_kit costs nothing.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
