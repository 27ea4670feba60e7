CREATE TABLE `agent_events` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`agent_id` text NOT NULL,
	`server_id` text NOT NULL,
	`type` text NOT NULL,
	`detail` text,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `idx_agent_events_agent_id_at` ON `agent_events` (`agent_id`,`at`);--> statement-breakpoint
CREATE TABLE `agent_metrics` (
	`agent_id` text NOT NULL,
	`resolution_seconds` integer NOT NULL,
	`at` integer NOT NULL,
	`cpu` real NOT NULL,
	`memory_used` integer NOT NULL,
	`memory_total` integer NOT NULL,
	`memory_percent` real NOT NULL,
	`disk_used` integer NOT NULL,
	`disk_total` integer NOT NULL,
	`disk_percent` real NOT NULL,
	`containers_running` integer NOT NULL,
	`containers_stopped` integer NOT NULL,
	PRIMARY KEY(`agent_id`, `resolution_seconds`, `at`)
);
--> statement-breakpoint
CREATE INDEX `idx_agent_metrics_resolution_seconds_at` ON `agent_metrics` (`resolution_seconds`,`at`);--> statement-breakpoint
CREATE TABLE `agents` (
	`id` text PRIMARY KEY NOT NULL,
	`server_id` text NOT NULL,
	`token_hash` text,
	`pending_token_hash` text,
	`revoked_token_hash` text,
	`version` text,
	`status` text DEFAULT 'pending' NOT NULL,
	`access` text NOT NULL,
	`reported_access` text,
	`protocol` integer,
	`host` text,
	`capabilities` text,
	`last_seen` integer,
	`registered_at` integer,
	`config` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	FOREIGN KEY (`server_id`) REFERENCES `servers`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `agents_server_id_unique` ON `agents` (`server_id`);--> statement-breakpoint
CREATE UNIQUE INDEX `agents_token_hash_unique` ON `agents` (`token_hash`);--> statement-breakpoint
CREATE UNIQUE INDEX `agents_pending_token_hash_unique` ON `agents` (`pending_token_hash`);--> statement-breakpoint
CREATE INDEX `idx_agents_status` ON `agents` (`status`);--> statement-breakpoint
CREATE INDEX `idx_agents_revoked_token_hash` ON `agents` (`revoked_token_hash`);--> statement-breakpoint
CREATE TABLE `commands` (
	`id` text PRIMARY KEY NOT NULL,
	`server_id` text NOT NULL,
	`agent_id` text NOT NULL,
	`actor` text NOT NULL,
	`method` text NOT NULL,
	`params` text NOT NULL,
	`status` text NOT NULL,
	`error_code` integer,
	`error_message` text,
	`started_at` integer NOT NULL,
	`duration_ms` integer,
	`result_bytes` integer
);
--> statement-breakpoint
CREATE INDEX `idx_commands_server_id_started_at` ON `commands` (`server_id`,`started_at`);--> statement-breakpoint
CREATE INDEX `idx_commands_started_at` ON `commands` (`started_at`);--> statement-breakpoint
CREATE INDEX `idx_commands_status` ON `commands` (`status`);--> statement-breakpoint
CREATE TABLE `agent_registration_codes` (
	`id` text PRIMARY KEY NOT NULL,
	`agent_id` text NOT NULL,
	`code_hash` text NOT NULL,
	`expires_at` integer NOT NULL,
	`used` integer DEFAULT false NOT NULL,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`agent_id`) REFERENCES `agents`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `agent_registration_codes_code_hash_unique` ON `agent_registration_codes` (`code_hash`);--> statement-breakpoint
CREATE INDEX `idx_agent_registration_codes_agent_id` ON `agent_registration_codes` (`agent_id`);--> statement-breakpoint
CREATE TABLE `servers` (
	`id` text PRIMARY KEY NOT NULL,
	`labels` text DEFAULT '{}' NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `settings` (
	`key` text PRIMARY KEY NOT NULL,
	`value` text NOT NULL,
	`category` text DEFAULT 'general' NOT NULL,
	`description` text DEFAULT '' NOT NULL,
	`updated_at` integer NOT NULL
);
