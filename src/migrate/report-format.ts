/** How a report can be written. */
export const REPORT_FORMATS = ['jsonl', 'csv', 's3-batch-operations'] as const;

/** Of one of these. */
export type ReportFormat = (typeof REPORT_FORMATS)[number];
