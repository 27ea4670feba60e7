CREATE TABLE `agent_container_metrics` (
	`agent_id` text NOT NULL,
	`container` text NOT NULL,
	`resolution_seconds` integer NOT NULL,
	`at` integer NOT NULL,
	`cpu` real,
	`memory_used` integer NOT NULL,
	`memory_limit` integer NOT NULL,
	`network_rx` real,
	`network_tx` real,
	`disk_read` real,
	`disk_write` real,
	PRIMARY KEY(`agent_id`, `container`, `resolution_seconds`, `at`)
);
--> statement-breakpoint
CREATE INDEX `idx_agent_container_metrics_resolution_seconds_at` ON `agent_container_metrics` (`resolution_seconds`,`at`);--> statement-breakpoint
ALTER TABLE `agent_metrics` ADD `load` real;--> statement-breakpoint
ALTER TABLE `agent_metrics` ADD `swap_used` integer;--> statement-breakpoint
ALTER TABLE `agent_metrics` ADD `swap_total` integer;--> statement-breakpoint
ALTER TABLE `agent_metrics` ADD `network_rx` real;--> statement-breakpoint
ALTER TABLE `agent_metrics` ADD `network_tx` real;--> statement-breakpoint
ALTER TABLE `agent_metrics` ADD `disk_read` real;--> statement-breakpoint
ALTER TABLE `agent_metrics` ADD `disk_write` real;--> statement-breakpoint
ALTER TABLE `agent_metrics` ADD `temperature` real;