"""The problems that docs/capacity.md is measured with: small pipelines, each a file that ``riverrun bench`` can run."""
