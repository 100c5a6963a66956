export { type AuditFault, type AuditVerdict, verifyAudit, type VerifyAuditOptions } from './core/audit.ts';
export type { AuditEntry, AuditHead, AuditRecord } from './core/contracts/index.ts';
