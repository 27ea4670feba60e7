ALTER TABLE `agent_events` ADD `instance_id` text;--> statement-breakpoint
ALTER TABLE `agent_events` ADD `seq` integer;--> statement-breakpoint
CREATE UNIQUE INDEX `idx_agent_events_seq` ON `agent_events` (`agent_id`,`instance_id`,`seq`) WHERE "agent_events"."seq" IS NOT NULL;