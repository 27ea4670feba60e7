CREATE TABLE `command_result_pieces` (
	`result_id` integer NOT NULL,
	`at` integer NOT NULL,
	`text` text NOT NULL,
	PRIMARY KEY(`result_id`, `at`),
	FOREIGN KEY (`result_id`) REFERENCES `command_results`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `command_results` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`command_id` text NOT NULL,
	`actor` text NOT NULL,
	`agent_id` text NOT NULL,
	`chars` integer NOT NULL,
	`bytes` integer NOT NULL,
	`kept_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `idx_command_results_command_id` ON `command_results` (`command_id`);--> statement-breakpoint
CREATE INDEX `idx_command_results_actor_agent_id` ON `command_results` (`actor`,`agent_id`,`id`,`bytes`);--> statement-breakpoint
CREATE INDEX `idx_command_results_kept_at` ON `command_results` (`kept_at`);--> statement-breakpoint
ALTER TABLE `commands` ADD `result_kept` integer;