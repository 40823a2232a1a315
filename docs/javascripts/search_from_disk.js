/* Search where the site is opened from a disk, which is where browsers start no worker: its script runs in a hidden frame. */
(() => {
  if (location.protocol !== "file:") return;

  class Frame extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      this.started = new Promise((resolve) => {
        frame.addEventListener("load", () => resolve(this.start(frame.contentWindow, address)), { once: true });
      });
      document.body.append(frame);
    }

    /** Load the worker's script into the frame; what it posts becomes a message of this. */
    start(inner, address) {
      inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      const script = inner.document.createElement("script");
      script.src = new URL(address, location.href).href;
      const loaded = new Promise((resolve) => script.addEventListener("load", () => resolve(inner)));
      inner.document.head.append(script);
      return loaded;
    }

    postMessage(data) {
      this.started.then((inner) => inner.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {}
  }

  window.Worker = Frame;
})();
