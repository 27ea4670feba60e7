ALTER TABLE `agents` ADD `candidate_token_hash` text;--> statement-breakpoint
CREATE UNIQUE INDEX `agents_candidate_token_hash_unique` ON `agents` (`candidate_token_hash`);--> statement-breakpoint
ALTER TABLE `agent_registration_codes` ADD `kind` text DEFAULT 'install' NOT NULL;