"""One storage account. The only code that imports Azure's SDK; every answer is a value or one of our errors."""
