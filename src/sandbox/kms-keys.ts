/**
 * The sandbox's KMS keys and aliases: their states, how they are named, and the file they outlive a restart in.
 * States and what they allow: KMS Developer Guide, "Key states of AWS KMS keys".
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { SealiftError } from '../errors.ts';
import { KmsError } from './kms-error.ts';

export interface SandboxKey {
  id: string;
  secret: Buffer;
  description: string;
  state: 'Enabled' | 'Disabled' | 'PendingDeletion';
  /** Milliseconds since the epoch. */
  createdMs: number;
  deletionMs?: number | undefined;
}

export interface SandboxAlias {
  /** With its `alias/`. */
  name: string;
  keyId: string;
  createdMs: number;
}

export class SandboxKeys {
  readonly accountId: string;
  /** ARNs of keys that nobody may use. */
  readonly denied = new Set<string>();

  readonly #arnPrefix: string;
  readonly #stateFile: string | undefined;
  readonly #keys = new Map<string, SandboxKey>();
  readonly #aliases = new Map<string, SandboxAlias>();

  /** Takes up the keys in `stateFile` where it exists; every change is written back to it before it is answered. */
  constructor(options: { region: string; accountId: string; stateFile?: string | undefined }) {
    this.accountId = options.accountId;
    this.#arnPrefix = `arn:aws:kms:${options.region}:${options.accountId}:`;
    this.#stateFile = options.stateFile;
    this.#load();
  }

  arnOf(key: SandboxKey): string {
    return `${this.#arnPrefix}key/${key.id}`;
  }

  aliasArnOf(alias: SandboxAlias): string {
    return `${this.#arnPrefix}${alias.name}`;
  }

  keys(): SandboxKey[] {
    return [...this.#keys.values()];
  }

  aliases(): SandboxAlias[] {
    return [...this.#aliases.values()];
  }

  byId(id: string): SandboxKey | undefined {
    return this.#keys.get(id);
  }

  /**
   * Finds a key by key id, key ARN, alias name or alias ARN: what cryptographic operations and DescribeKey take (KMS
   * API Reference, "KeyId" of each). A name of another region is "Invalid arn", as KMS says it.
   */
  find(name: string): SandboxKey {
    const local = this.#withoutArn(name);
    if (!local.startsWith('alias/')) return this.findById(name);
    const alias = this.#aliases.get(local);
    if (alias === undefined) throw new KmsError('NotFoundException', `Alias ${this.#arnPrefix}${local} is not found.`);
    return this.findById(alias.keyId);
  }

  /** Finds a key by id or ARN alone: operations that change a key take no alias (KMS API Reference, DisableKey). */
  findById(name: string): SandboxKey {
    const local = this.#withoutArn(name);
    if (local.startsWith('alias/')) throw new KmsError('NotFoundException', `Invalid keyId '${name}'`);
    const id = local.replace(/^key\//, '');
    const key = this.#keys.get(id);
    if (key === undefined) {
      throw new KmsError('NotFoundException', `Key '${this.#arnPrefix}key/${id}' does not exist`);
    }
    return key;
  }

  /** The key that `name` names, where `operation` may use it. */
  usable(name: string, operation: string): SandboxKey {
    const key = this.find(name);
    this.requireUsable(key, operation);
    return key;
  }

  /** KMS Developer Guide, "Key states": cryptographic operations need Enabled, and fail with these two errors. */
  requireUsable(key: SandboxKey, operation: string): void {
    this.authorize(key, operation);
    if (key.state === 'Disabled') throw new KmsError('DisabledException', `${this.arnOf(key)} is disabled.`);
    if (key.state === 'PendingDeletion') throw this.pendingDeletion(key);
  }

  authorize(key: SandboxKey, operation: string): void {
    const arn = this.arnOf(key);
    if (!this.denied.has(arn)) return;
    const user = `arn:aws:iam::${this.accountId}:user/sandbox`;
    const reason = `no resource-based policy allows the kms:${operation} action`;
    throw new KmsError(
      'AccessDeniedException',
      `User: ${user} is not authorized to perform: kms:${operation} on resource: ${arn} because ${reason}`,
    );
  }

  pendingDeletion(key: SandboxKey): KmsError {
    return new KmsError('KMSInvalidStateException', `${this.arnOf(key)} is pending deletion.`);
  }

  create(description: string): SandboxKey {
    const key: SandboxKey = {
      id: randomUUID(),
      secret: randomBytes(32),
      description,
      state: 'Enabled',
      createdMs: Date.now(),
    };
    this.#keys.set(key.id, key);
    this.#save();
    return key;
  }

  change(key: SandboxKey, change: Pick<SandboxKey, 'state' | 'deletionMs'>): void {
    Object.assign(key, { deletionMs: undefined }, change);
    this.#save();
  }

  /** KMS Developer Guide, "AWS managed keys": made by the service when it is first wanted, under an alias of AWS's. */
  managed(alias: string): SandboxKey {
    if (!this.#aliases.has(alias)) this.#setAlias(alias, this.create('The key that protects objects of S3'));
    return this.find(alias);
  }

  addAlias(name: string, key: SandboxKey): void {
    // KMS API Reference, CreateAlias: "must begin with alias/", "cannot begin with alias/aws/", and the characters.
    if (!/^alias\/[a-zA-Z0-9/_-]{1,250}$/.test(name) || name.startsWith('alias/aws/')) {
      throw new KmsError('InvalidAliasNameException', `Alias ${name} is not a name that CreateAlias accepts.`);
    }
    const existing = this.#aliases.get(name);
    if (existing !== undefined) {
      throw new KmsError(
        'AlreadyExistsException',
        `An alias with the name ${this.aliasArnOf(existing)} already exists`,
      );
    }
    this.#setAlias(name, key);
  }

  #setAlias(name: string, key: SandboxKey): void {
    this.#aliases.set(name, { name, keyId: key.id, createdMs: Date.now() });
    this.#save();
  }

  #withoutArn(name: string): string {
    if (!name.startsWith('arn:')) return name;
    if (!name.startsWith(this.#arnPrefix)) {
      throw new KmsError('NotFoundException', `Invalid arn ${name.split(':')[3] ?? ''}`);
    }
    return name.slice(this.#arnPrefix.length);
  }

  #load(): void {
    if (this.#stateFile === undefined) return;
    let text: string;
    try {
      text = readFileSync(this.#stateFile, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    const state = parseState(text, this.#stateFile);
    for (const key of state.keys) this.#keys.set(key.id, { ...key, secret: Buffer.from(key.secret, 'base64') });
    for (const alias of state.aliases) this.#aliases.set(alias.name, alias);
  }

  /** Written beside and renamed, so that a sandbox killed while it writes keeps its old keys. */
  #save(): void {
    if (this.#stateFile === undefined) return;
    const keys = this.keys().map((key) => ({ ...key, secret: key.secret.toString('base64') }));
    const text = `${JSON.stringify({ keys, aliases: this.aliases() }, null, 2)}\n`;
    const temporary = `${this.#stateFile}.${randomUUID()}`;
    writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' });
    renameSync(temporary, this.#stateFile);
  }
}

/** The state file's content; keys' secrets are in base64. */
interface State {
  keys: (Omit<SandboxKey, 'secret'> & { secret: string })[];
  aliases: SandboxAlias[];
}

function parseState(text: string, path: string): State {
  try {
    return JSON.parse(text) as State;
  } catch {
    // The parser's message quotes the text, which holds keys.
    throw new SealiftError('bad-option', `${path} does not hold the keys of a sandbox`, {
      hint: 'It is damaged, and what was sealed under its keys is lost. Remove the file, or give another folder.',
    });
  }
}
