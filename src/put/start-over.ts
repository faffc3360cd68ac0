/** Thrown inside `put` when this attempt cannot go on under its key but the object can be started again. */
export class StartOver extends Error {
  /** `message` tells the user why; `cause` is the error to report if starting over has been tried often enough. */
  constructor(message: string, cause: unknown) {
    super(message, { cause });
    this.name = 'StartOver';
  }
}
