-- The job flights_daily in the SQL of duckdb, over files: bronze, silver with quarantine, gold.
-- It follows src/lakehouse/flights: its contracts and its gold tables.

SET preserve_insertion_order = false; -- tables have no order

-- Bronze: every column as text, and where it came from.

COPY (SELECT * EXCLUDE (filename), parse_filename(filename) AS _file, now() AS _loaded_at
      FROM read_csv('data/flights/landing/airports/*.csv', all_varchar = true, filename = true))
TO 'bronze/airports.parquet';

COPY (SELECT * EXCLUDE (filename), parse_filename(filename) AS _file, now() AS _loaded_at
      FROM read_csv('data/flights/landing/airlines/*.csv', all_varchar = true, filename = true))
TO 'bronze/airlines.parquet';

COPY (SELECT * EXCLUDE (filename), parse_filename(filename) AS _file, now() AS _loaded_at
      FROM read_csv('data/flights/landing/weather/*.csv', all_varchar = true, filename = true))
TO 'bronze/weather.parquet';

COPY (SELECT * EXCLUDE (filename), parse_filename(filename) AS _file, now() AS _loaded_at
      FROM read_csv('data/flights/landing/flights/*.csv', all_varchar = true, filename = true))
TO 'bronze/flights.parquet';

-- Silver: `_failed` and `_warned` name the rules that a row does not meet; NULL does not meet.

CREATE MACRO unless(met, rule) AS CASE WHEN met THEN NULL ELSE rule END;
CREATE MACRO readable(text, value) AS text IS NULL OR value IS NOT NULL;

CREATE TEMP TABLE airports AS
WITH typed AS (
  SELECT b AS _raw, hash(b) AS _hash, _file, faa, name, tzone,
    try_cast(b.lat AS DOUBLE) AS lat, try_cast(b.lon AS DOUBLE) AS lon
  FROM 'bronze/airports.parquet' AS b
)
SELECT *,
  concat_ws(',',
    unless(faa IS NOT NULL, 'no_faa'),
    unless(readable(_raw.lat, lat) AND readable(_raw.lon, lon), 'readable'),
    unless(lat BETWEEN -90 AND 90 AND lon BETWEEN -180 AND 180, 'on_earth')) AS _failed,
  concat_ws(',', unless(tzone IS NOT NULL, 'time_zone')) AS _warned
FROM typed;

COPY (SELECT faa, name, lat, lon, tzone, _warned FROM airports WHERE _failed = ''
      QUALIFY row_number() OVER (PARTITION BY faa ORDER BY _file DESC, _hash) = 1)
TO 'silver/airports.parquet';
COPY (SELECT * FROM airports WHERE _failed = ''
      QUALIFY row_number() OVER (PARTITION BY faa ORDER BY _file DESC, _hash) > 1)
TO 'silver/airports_superseded.parquet';
COPY (SELECT unnest(_raw), _failed FROM airports WHERE _failed <> '')
TO 'silver/airports_quarantine.parquet';

CREATE TEMP TABLE airlines AS
SELECT b AS _raw, hash(b) AS _hash, _file, carrier, name,
  concat_ws(',',
    unless(carrier IS NOT NULL, 'no_carrier'), unless(name IS NOT NULL, 'named')) AS _failed,
  '' AS _warned
FROM 'bronze/airlines.parquet' AS b;

COPY (SELECT carrier, name, _warned FROM airlines WHERE _failed = ''
      QUALIFY row_number() OVER (PARTITION BY carrier ORDER BY _file DESC, _hash) = 1)
TO 'silver/airlines.parquet';
COPY (SELECT * FROM airlines WHERE _failed = ''
      QUALIFY row_number() OVER (PARTITION BY carrier ORDER BY _file DESC, _hash) > 1)
TO 'silver/airlines_superseded.parquet';
COPY (SELECT unnest(_raw), _failed FROM airlines WHERE _failed <> '')
TO 'silver/airlines_quarantine.parquet';

CREATE TEMP TABLE weather AS
WITH typed AS (
  SELECT b AS _raw, hash(b) AS _hash, _file, origin,
    try_cast(b.time_hour AS TIMESTAMP) AS time_hour, try_cast(b.temp AS DOUBLE) AS temp,
    try_cast(b.wind_speed AS DOUBLE) AS wind_speed, try_cast(b.precip AS DOUBLE) AS precip,
    try_cast(b.visib AS DOUBLE) AS visib
  FROM 'bronze/weather.parquet' AS b
)
SELECT *,
  concat_ws(',',
    unless(origin IS NOT NULL, 'no_origin'),
    unless(time_hour IS NOT NULL, 'no_time_hour'),
    unless(readable(_raw.time_hour, time_hour) AND readable(_raw.temp, temp)
      AND readable(_raw.wind_speed, wind_speed) AND readable(_raw.precip, precip)
      AND readable(_raw.visib, visib), 'readable'),
    unless(wind_speed IS NULL OR wind_speed BETWEEN 0 AND 250, 'possible_wind')) AS _failed,
  concat_ws(',', unless(visib IS NOT NULL, 'visibility')) AS _warned
FROM typed;

COPY (SELECT origin, time_hour, temp, wind_speed, precip, visib, _warned
      FROM weather WHERE _failed = ''
      QUALIFY row_number() OVER (PARTITION BY origin, time_hour ORDER BY _file DESC, _hash) = 1)
TO 'silver/weather.parquet';
COPY (SELECT * FROM weather WHERE _failed = ''
      QUALIFY row_number() OVER (PARTITION BY origin, time_hour ORDER BY _file DESC, _hash) > 1)
TO 'silver/weather_superseded.parquet';
COPY (SELECT unnest(_raw), _failed FROM weather WHERE _failed <> '')
TO 'silver/weather_quarantine.parquet';

CREATE TEMP TABLE flights AS
WITH typed AS (
  SELECT b AS _raw, hash(b) AS _hash, _file, carrier, origin, dest, tailnum,
    try_cast(b.flight AS INT) AS flight, try_cast(b.time_hour AS TIMESTAMP) AS time_hour,
    try_cast(b.year AS INT) AS year, try_cast(b.month AS INT) AS month,
    try_cast(b.day AS INT) AS day, try_cast(b.sched_dep_time AS INT) AS sched_dep_time,
    try_cast(b.dep_time AS INT) AS dep_time, try_cast(b.dep_delay AS INT) AS dep_delay,
    try_cast(b.sched_arr_time AS INT) AS sched_arr_time, try_cast(b.arr_time AS INT) AS arr_time,
    try_cast(b.arr_delay AS INT) AS arr_delay, try_cast(b.air_time AS INT) AS air_time,
    try_cast(b.distance AS INT) AS distance
  FROM 'bronze/flights.parquet' AS b
), dated AS (
  SELECT typed.*, airport.name AS dest_name, dep_time IS NULL AS cancelled,
    try_cast(concat_ws('-', year, lpad(month::VARCHAR, 2, '0'), lpad(day::VARCHAR, 2, '0')) AS DATE)
      AS date
  FROM typed LEFT JOIN 'silver/airports.parquet' AS airport ON airport.faa = typed.dest
)
SELECT *,
  concat_ws(',',
    unless(carrier IS NOT NULL, 'no_carrier'),
    unless(flight IS NOT NULL, 'no_flight'),
    unless(time_hour IS NOT NULL, 'no_time_hour'),
    unless(readable(_raw.flight, flight) AND readable(_raw.time_hour, time_hour)
      AND readable(_raw.year, year) AND readable(_raw.month, month) AND readable(_raw.day, day)
      AND readable(_raw.sched_dep_time, sched_dep_time) AND readable(_raw.dep_time, dep_time)
      AND readable(_raw.dep_delay, dep_delay) AND readable(_raw.sched_arr_time, sched_arr_time)
      AND readable(_raw.arr_time, arr_time) AND readable(_raw.arr_delay, arr_delay)
      AND readable(_raw.air_time, air_time) AND readable(_raw.distance, distance), 'readable'),
    unless(date IS NOT NULL, 'real_date'),
    unless(dest_name IS NOT NULL, 'known_destination'),
    unless(distance > 0, 'distance')) AS _failed,
  concat_ws(',',
    unless(cancelled OR arr_delay IS NOT NULL, 'arrives_if_it_left'),
    unless(tailnum IS NOT NULL, 'tail_number')) AS _warned
FROM dated;

COPY (SELECT * EXCLUDE (_raw, _hash, _file, year, month, day, _failed)
      FROM flights WHERE _failed = ''
      QUALIFY row_number() OVER (
        PARTITION BY carrier, flight, time_hour ORDER BY _file DESC, _hash) = 1)
TO 'silver/flights.parquet';
COPY (SELECT * FROM flights WHERE _failed = ''
      QUALIFY row_number() OVER (
        PARTITION BY carrier, flight, time_hour ORDER BY _file DESC, _hash) > 1)
TO 'silver/flights_superseded.parquet';
COPY (SELECT unnest(_raw), _failed FROM flights WHERE _failed <> '')
TO 'silver/flights_quarantine.parquet';

-- Gold: sums and counts.

COPY (SELECT date, f.carrier, airline.name AS airline, count(*) AS flights,
        count(*) FILTER (cancelled) AS cancelled, count(arr_delay) AS arrived,
        count(*) FILTER (arr_delay >= 15) AS late,
        sum(coalesce(arr_delay, 0))::BIGINT AS delay_minutes
      FROM 'silver/flights.parquet' AS f
      LEFT JOIN 'silver/airlines.parquet' AS airline USING (carrier)
      GROUP BY ALL)
TO 'gold/punctuality.parquet';

COPY (SELECT date, origin, dest, dest_name, count(*) AS flights,
        count(*) FILTER (cancelled) AS cancelled, count(arr_delay) AS arrived,
        count(*) FILTER (arr_delay >= 15) AS late,
        sum(coalesce(arr_delay, 0))::BIGINT AS delay_minutes, sum(distance)::BIGINT AS miles
      FROM 'silver/flights.parquet'
      GROUP BY ALL)
TO 'gold/routes.parquet';

COPY (SELECT date,
        CASE WHEN visib < 3 THEN 'fog' WHEN precip > 0 THEN 'rain or snow'
          WHEN wind_speed >= 20 THEN 'wind' WHEN visib IS NOT NULL THEN 'fair'
          ELSE 'unknown' END AS condition,
        count(*) AS flights,
        count(*) FILTER (cancelled) AS cancelled, count(arr_delay) AS arrived,
        count(*) FILTER (arr_delay >= 15) AS late,
        sum(coalesce(arr_delay, 0))::BIGINT AS delay_minutes
      FROM 'silver/flights.parquet' LEFT JOIN 'silver/weather.parquet' USING (origin, time_hour)
      GROUP BY ALL)
TO 'gold/weather_delay.parquet';
