/** What became of a migration's objects, written down: the flags that ask for it, and what is said when it is there. */
import type { Command } from 'commander';
import { SealiftError } from '../errors.ts';
import type { ReportFormat, ReportOptions, ReportSummary } from '../index.ts';
import { REPORT_FORMATS } from '../migrate/report-format.ts';
import { fileOrObject } from './flag-values.ts';
import { flag } from './options.ts';
import { counted } from './output.ts';

export interface ReportFlags {
  report?: string | undefined;
  reportFormat?: ReportFormat | undefined;
}

export function reportOptions(command: Command): Command {
  return command
    .optionsGroup('Report:')
    .addOption(flag('--report <to>', 'what became of every object, into a file or s3://bucket/key', fileOrObject))
    .addOption(
      flag('--report-format <name>', `${REPORT_FORMATS.join(', ')} (default: as the name ends)`).choices(
        REPORT_FORMATS,
      ),
    );
}

/** What these flags ask for. Throws `usage`. */
export function reportOf({ report: to, reportFormat: format }: ReportFlags): ReportOptions | undefined {
  if (to !== undefined) return { to, format };
  if (format === undefined) return undefined;
  throw new SealiftError('usage', '--report-format is given, and --report is not', {
    hint: 'Say with --report where the report is to be.',
  });
}

/** `Report of 20 objects in /tmp/report.csv: 2 are missing, 1 is not confirmed`. */
export function reportText({ report, objects, missing, unconfirmed, listing }: ReportSummary): string {
  const all = Object.values(objects).reduce((sum, count) => sum + count, 0);
  const facts = [missing === 0 ? 'none is missing' : `${missing} missing`];
  if (unconfirmed > 0) facts.push(`${unconfirmed} with a checksum that the store did not confirm`);
  if (listing) facts.push('the source is not listed to its end');
  return `Report of ${counted(all, 'object')} in ${report}: ${facts.join(', ')}`;
}
