CREATE TABLE `command_results` (
	`id` text PRIMARY KEY NOT NULL,
	`result` text NOT NULL,
	`bytes` integer NOT NULL,
	`kept_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `idx_command_results_kept_at` ON `command_results` (`kept_at`,`bytes`);