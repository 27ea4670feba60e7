INSERT OR IGNORE INTO `settings` (`key`, `value`, `category`, `description`, `updated_at`) VALUES
	('agent_metrics_interval', '30', 'agent', 'Seconds between agent metrics push', CAST(unixepoch('subsec') * 1000 AS INTEGER)),
	('agent_health_interval', '60', 'agent', 'Seconds between agent health reports', CAST(unixepoch('subsec') * 1000 AS INTEGER)),
	('agent_reconnect_timeout', '30', 'agent', 'Seconds before agent reconnect attempt', CAST(unixepoch('subsec') * 1000 AS INTEGER)),
	('agent_code_ttl_minutes', '5', 'agent', 'Minutes an agent registration code is valid', CAST(unixepoch('subsec') * 1000 AS INTEGER));
