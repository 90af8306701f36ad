-- A believable B2B product: companies have teams and users, users do things.
-- Everything follows from hashes of row numbers, so that two demos are alike.

CREATE TABLE companies AS
SELECT company_id, upper(company_id[1]) || company_id[2:] || suffix AS name,
       ['free', 'pro', 'enterprise'][1 + i % 3] AS plan,
       ['Software', 'Retail', 'Health', 'Logistics', 'Media'][1 + i % 5] AS industry,
       (hash(company_id) % 400000)::INTEGER / 100.0::DOUBLE AS monthly_spend,
       TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL 1 DAY * (hash(company_id) % 700)::INTEGER AS signed_up_at,
       now() - INTERVAL 2 HOUR - INTERVAL 1 MINUTE * i AS updated_at
FROM (SELECT unnest(['acme', 'globex', 'initech', 'umbrella', 'hooli', 'stark', 'wayne', 'tyrell', 'cyberdyne', 'soylent',
                     'wonka', 'aperture', 'oscorp', 'gringotts', 'dunder', 'vandelay', 'bluth', 'sterling', 'prestige', 'pied']) AS company_id,
             unnest([' Inc', ' Corp', ' Labs', ' Group', '', ' Inc', ' Corp', ' Labs', ' Group', '',
                     ' Inc', ' Corp', ' Labs', ' Group', '', ' Inc', ' Corp', ' Labs', ' Group', '']) AS suffix,
             generate_subscripts(range(20), 1) AS i);

CREATE TABLE teams AS
SELECT company_id, team_id, upper(team_id[1]) || team_id[2:] AS name, 3 + (hash(company_id || team_id) % 20)::INTEGER AS seats
FROM companies, (SELECT unnest(['growth', 'platform', 'sales', 'design', 'support']) AS team_id);

-- alice is somebody else in every company.
CREATE TABLE users AS
SELECT company_id, user_id, upper(user_id[1]) || user_id[2:] AS name, user_id || '@' || company_id || '.example' AS email,
       ['admin', 'editor', 'viewer'][1 + (hash(company_id || user_id) % 3)::INTEGER] AS role,
       ['growth', 'platform', 'sales', 'design', 'support'][1 + (hash(user_id || company_id) % 5)::INTEGER] AS team_id
FROM companies, (SELECT unnest(['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace', 'heidi', 'ivan', 'judy', 'karl', 'lena', 'mallory',
                                'nina', 'oscar', 'peggy', 'quinn', 'rupert', 'sybil', 'trent', 'ursula', 'victor', 'wendy', 'xavier', 'yara',
                                'zoe', 'amir', 'bea', 'chen', 'diego', 'elif', 'femi', 'gita', 'hugo', 'ines', 'jonas', 'kemi', 'luca',
                                'mira', 'noor', 'omar', 'pia', 'rosa', 'sven', 'tara', 'uma', 'vera', 'wim', 'yusuf', 'zara']) AS user_id);

CREATE TABLE people AS SELECT *, row_number() OVER (ORDER BY company_id, user_id) - 1 AS n FROM users;

-- 200,000 events of thirty days, each loaded a little after it happened.
CREATE TABLE events AS
SELECT i AS event_id,
       ['Signed In', 'Board Opened', 'Card Created', 'Card Moved', 'Comment Added', 'Report Exported', 'Invite Sent'][1 + (h % 7)::INTEGER] AS name,
       p.company_id, p.user_id, p.team_id, moment AS occurred_at, moment + INTERVAL 1 SECOND * (h % 240)::INTEGER AS loaded_at,
       ['web', 'ios', 'android', 'api'][1 + (h % 4)::INTEGER] AS platform,
       (h % 9000)::INTEGER AS duration_ms, h % 11 <> 0 AS success,
       {'board': 'board-' || h % 300, 'cards': (h % 40)::INTEGER, 'beta': h % 5 = 0} AS details
FROM (SELECT i, hash(i) AS h, now() - INTERVAL 10 MINUTE - INTERVAL 30 DAY + to_milliseconds(i * 12960) AS moment FROM range(200000) r(i))
JOIN people p ON p.n = h % 1000;

DROP TABLE people;

-- A few dirty rows, as every warehouse has them.
UPDATE events SET company_id = NULL WHERE event_id % 20011 = 5;
UPDATE events SET user_id = 'null' WHERE event_id % 20011 = 6;
UPDATE events SET user_id = '$user:alice' WHERE event_id % 40009 = 7;
UPDATE events SET user_id = '  ' WHERE event_id % 40009 = 8;
UPDATE events SET occurred_at = occurred_at + INTERVAL 10 YEAR WHERE event_id % 50021 = 9;
UPDATE events SET name = '' WHERE event_id % 50021 = 10;
