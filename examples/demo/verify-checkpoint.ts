import { existsSync } from 'node:fs';
import type { CheckpointId, Job, Session, VerifyResult } from 'fafnir';
import { paths } from './settings.ts';

/**
 * Reads every copy of a checkpoint. Where the file system can clone, the newest snapshots stay on site A and are lost
 * with it: the first verify records that and fails, and what is left must verify.
 */
export async function verifyCheckpoint(
  session: Session,
  id: CheckpointId,
  resultOf: (job: Job<VerifyResult>) => Promise<VerifyResult>,
): Promise<VerifyResult> {
  try {
    return await resultOf(await session.verify(id));
  } catch (error) {
    const { state } = await session.checkpoints.get(id);
    if (state !== 'available' || existsSync(paths.siteA)) throw error;
    return await resultOf(await session.verify(id));
  }
}
