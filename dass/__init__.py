"""DaSS: distillation-aware student search (Lee, An et al., ICLR 2023)."""

__version__ = "0.1.0"
