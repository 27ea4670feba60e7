ALTER TABLE `agents` ADD `candidate_access` text;--> statement-breakpoint
ALTER TABLE `agents` ADD `candidate_identity` text;--> statement-breakpoint
ALTER TABLE `agents` ADD `token_issued_at` integer;--> statement-breakpoint
ALTER TABLE `agents` ADD `pending_token_expires_at` integer;--> statement-breakpoint
ALTER TABLE `agents` ADD `pending_token_stored` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `agents` ADD `identity` text;--> statement-breakpoint
ALTER TABLE `commands` ADD `origin` text;--> statement-breakpoint
ALTER TABLE `commands` ADD `instance_id` text;--> statement-breakpoint
ALTER TABLE `agent_registration_codes` ADD `access` text;--> statement-breakpoint
UPDATE `agents` SET `token_issued_at` = `registered_at`;--> statement-breakpoint
UPDATE `agents` SET `identity` = json_patch('{}', json_object(
	'machine_id', nullif(json_extract(`host`, '$.machine_id'), ''),
	'engine_id', nullif(json_extract(`host`, '$.engine_id'), '')))
	WHERE nullif(json_extract(`host`, '$.machine_id'), '') IS NOT NULL
	OR nullif(json_extract(`host`, '$.engine_id'), '') IS NOT NULL;--> statement-breakpoint
INSERT OR IGNORE INTO `settings` (`key`, `value`, `category`, `description`, `updated_at`) VALUES
	('agent_token_rotation_days', '0', 'agent', 'Days after which an agent gets a new token; 0: never', CAST(unixepoch('subsec') * 1000 AS INTEGER)),
	('agent_token_grace_minutes', '60', 'agent', 'Minutes both tokens of a rotation are valid', CAST(unixepoch('subsec') * 1000 AS INTEGER));
