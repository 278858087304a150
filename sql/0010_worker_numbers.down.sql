ALTER TABLE workers
  DROP measured_at,
  DROP memory_bytes,
  DROP cpu_percent,
  DROP processed_per_second,
  DROP failed_per_second,
  DROP lowest_priority;
