// The models' worker: gets the page's messages and files, and is replaced when it is lost.

/** Workers that may be lost within a minute before the models move to the CPU. After twice as many, they wait. */
const MOST_LOST = 3;
/** In milliseconds. */
const MINUTE = 60_000;

export class Models {
  #device;
  #hear;
  #worker;
  /** Files given to the worker; its replacement gets them too. */
  #given = [];
  /** When workers were lost, in the last minute. */
  #losses = [];

  /** Starts a worker on `device`; `hear` gets its messages, and one of the kind `failed` if it cannot run. */
  constructor(device, hear) {
    this.#device = device;
    this.#hear = hear;
    this.#worker = this.#start(device);
  }

  /** Sends a message to the worker. */
  post(message, transfer = []) {
    this.#worker.postMessage(message, transfer);
  }

  /** Gives files to the worker, by path: it reads them, so that the page never waits for one. */
  give(files) {
    this.#given.push(...files);
    this.post({ kind: 'files', files });
  }

  /**
   * Replaces the worker, which no longer works, by one on the CPU unless the GPU may be opened `again`.
   * @returns {string} `why`, and what follows from it
   */
  replace(why, again = true) {
    this.end();
    const now = performance.now();
    this.#losses = [...this.#losses.filter((time) => now - time < MINUTE), now];
    const lost = this.#losses.length;
    if (lost > 2 * MOST_LOST) {
      this.#worker = this.#startLater('cpu');
      return `${why}, ${lost} times within a minute; the models start again in a minute, or when you reload the page`;
    }
    const onCpu = !again || lost > MOST_LOST;
    this.#worker = this.#start(onCpu ? 'cpu' : this.#device);
    return onCpu ? `${why}; the models continue on the CPU, which is slower` : why;
  }

  /** Ends the worker. */
  end() {
    this.#worker.terminate();
  }

  #start(device) {
    const started = new Worker(new URL('worker.js', import.meta.url), { type: 'module', name: 'models' });
    // Messages of a worker that has been replaced may still arrive.
    const hear = (data) => { if (started === this.#worker) this.#hear(data); };
    started.onmessage = ({ data }) => hear(data);
    started.onerror = ({ message }) => hear({ kind: 'failed', why: message ?? 'it could not be loaded' });
    started.postMessage({ kind: 'start', device });
    if (this.#given.length > 0) started.postMessage({ kind: 'files', files: this.#given });
    return started;
  }

  /** Stands in for a worker that starts in a minute: keeps its messages. */
  #startLater(device) {
    const kept = [];
    setTimeout(() => {
      this.#worker = this.#start(device);
      kept.forEach((message) => this.post(...message));
    }, MINUTE);
    return { postMessage: (...message) => kept.push(message), terminate: () => {} };
  }
}
