CREATE TABLE `log_batches` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`agent_id` text NOT NULL,
	`server_id` text NOT NULL,
	`first_at` integer NOT NULL,
	`last_at` integer NOT NULL,
	`bytes` integer NOT NULL,
	`containers` text NOT NULL,
	`lines` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX `idx_log_batches_agent_id_bytes` ON `log_batches` (`agent_id`,`id`,`bytes`);--> statement-breakpoint
CREATE INDEX `idx_log_batches_last_at` ON `log_batches` (`last_at`,`id`,`agent_id`);--> statement-breakpoint
CREATE TABLE `log_epochs` (
	`agent_id` text PRIMARY KEY NOT NULL,
	`epoch` text NOT NULL,
	`batch` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `log_positions` (
	`agent_id` text NOT NULL,
	`container_id` text NOT NULL,
	`stream` text NOT NULL,
	`epoch` text NOT NULL,
	`at` text NOT NULL,
	`n` integer NOT NULL,
	`stored_at` integer NOT NULL,
	PRIMARY KEY(`agent_id`, `container_id`, `stream`)
);
--> statement-breakpoint
CREATE INDEX `idx_log_positions_agent_id_stored_at` ON `log_positions` (`agent_id`,`stored_at`);