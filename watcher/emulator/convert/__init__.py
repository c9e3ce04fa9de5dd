"""Real conversions of source files into assets, in sandboxed worker processes.

Importing this package is cheap: numpy, Pillow and their kin are imported by the workers only.
"""

from watcher.emulator.convert.job import ConversionFailed, ConversionJob, ConversionResult, ConvertedAsset
from watcher.emulator.convert.pool import ConverterPool

__all__ = ["ConversionFailed", "ConversionJob", "ConversionResult", "ConvertedAsset", "ConverterPool"]
