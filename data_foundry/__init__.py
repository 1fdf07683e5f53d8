"""Data Foundry: public Malayalam datasets in, evaluated and shadow-tested LoRA adapters out."""

__version__ = "0.1.0"
