/** The command line as a whole: which commands there are, and how each of them ends. */
import { Command, CommanderError, type Option } from 'commander';
import { SealiftError } from '../errors.ts';
import { addBench } from './bench.ts';
import { addCancel } from './cancel.ts';
import { addCompletion } from './completion.ts';
import { addDemo } from './demo.ts';
import { addDoctor } from './doctor.ts';
import { addGet } from './get.ts';
import { addInspect } from './inspect.ts';
import { addJobs } from './jobs.ts';
import { addKeygen } from './keygen.ts';
import { addLs } from './ls.ts';
import { addMan } from './man.ts';
import { addMigrate } from './migrate.ts';
import { isOn, type StoreFlags } from './options.ts';
import { Output, type OutputFlags } from './output.ts';
import { enterCallersFolder } from './paths.ts';
import { addPlan } from './plan.ts';
import { addPut } from './put.ts';
import { addReseal } from './reseal.ts';
import { addResume } from './resume.ts';
import { addRewrap } from './rewrap.ts';
import { addSandbox } from './sandbox.ts';
import { refuseGarbled } from './utf8.ts';
import { addVerify } from './verify.ts';
import { versionText } from './version.ts';

const COMMANDS = [
  addPut,
  addGet,
  addVerify,
  addMigrate,
  addReseal,
  addRewrap,
  addInspect,
  addLs,
  addPlan,
  addBench,
  addJobs,
  addResume,
  addCancel,
  addKeygen,
  addDoctor,
  addSandbox,
  addDemo,
  addCompletion,
  addMan,
];

const CLOSING = `
Every flag can be set as SEALIFT_<FLAG>: SEALIFT_KMS_KEY for --kms-key. AWS settings are AWS's own (profiles, AWS_REGION,
AWS_ENDPOINT_URL_S3, credentials). Exit: 0 done, 1 failed, 2 usage, 3 warnings, 4 interrupted, 5 unavailable, 6 integrity.`;

const ALLOWED_HTTP =
  '--allow-http: with an http:// endpoint, whoever is on the way reads names, metadata and listings, and can change what is answered. What is sealed stays sealed.';

/** Runs one command. Never rejects: how it went is in `process.exitCode`. */
export async function main(args: readonly string[]): Promise<void> {
  const output = new Output({ json: asksForJson(args) });
  // What slips past every await ends in one line and a status as well.
  process.once('uncaughtException', (error) => process.exit(output.fail(error).exit));
  try {
    refuseGarbled(args, process.env);
    enterCallersFolder();
    await programFor(output).parseAsync(args, { from: 'user' });
    await output.delivered();
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    process.exitCode = output.fail(error instanceof CommanderError ? usageError(error, args[0]) : error).exit;
  }
}

/** The program, ready to parse. It rejects with a CommanderError or a SealiftError. */
export function programFor(output: Output): Command {
  const program = new Command('sealift')
    .description("Client-side encryption for Amazon S3 at full speed: parallel, resumable, in AWS's open formats.")
    .version(versionText(output.flags), '-V, --version', 'show version, Node, OpenSSL and platform')
    .addHelpText('after', CLOSING)
    .helpCommand(false)
    .exitOverride()
    // What commander would print of an error is ours to say.
    .configureOutput({ writeErr: () => {} })
    // Defaults and choices are in the descriptions; a variable's name follows from its flag.
    .configureHelp({ optionDescription: (option: Option) => option.description })
    .hook('preAction', (_program, command) => {
      output.flags = command.opts<OutputFlags>();
      if (command.opts<StoreFlags>().allowHttp) output.warn(ALLOWED_HTTP);
    });
  for (const add of COMMANDS) add(program, output);
  return program;
}

/** Flags are not parsed yet when parsing them fails, and that has to be said in JSON too. */
function asksForJson(args: readonly string[]): boolean {
  return args.includes('--json') || isOn(process.env.SEALIFT_JSON);
}

function usageError({ code, message }: CommanderError, name: string | undefined): SealiftError {
  if (code === 'commander.help') {
    return new SealiftError('usage', 'No command was given', { hint: '`sealift --help` lists them.' });
  }
  const isCommand = name !== undefined && code !== 'commander.unknownCommand' && !name.startsWith('-');
  const command = isCommand ? `sealift ${name}` : 'sealift';
  const text = message.replace(/^error: |\.$/g, '');
  return new SealiftError('usage', text[0]!.toUpperCase() + text.slice(1), {
    hint: `\`${command} --help\` shows what it takes.`,
  });
}
