"""Raw files in: WARC, jsonl and parquet, packed or not, damaged or not."""
