/** Told of each step of a deployment, and how far it is if that is known (0 to 1). */
export type Progress = (message: string, fraction?: number) => void;
