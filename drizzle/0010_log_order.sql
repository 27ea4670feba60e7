DROP INDEX `idx_log_batches_last_at`;--> statement-breakpoint
CREATE INDEX `idx_log_batches_agent_id_last_at` ON `log_batches` (`agent_id`,`last_at`,`id`,`first_at`);--> statement-breakpoint
CREATE INDEX `idx_log_batches_last_at` ON `log_batches` (`last_at`,`id`,`agent_id`,`first_at`);