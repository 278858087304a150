import { Component, type ReactNode } from 'react';

interface Props {
  children: ReactNode;
}

/** A page that cannot be drawn, or whose file is not there any more after an update, ends alone: the rest stays. */
export class Boundary extends Component<Props, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override render(): ReactNode {
    if (!this.state.failed) {
      return this.props.children;
    }
    return (
      <div role="alert" className="space-y-3 px-4 py-12 text-center">
        <p className="text-bad">This page cannot be shown. There may be a newer dashboard.</p>
        <button type="button" className="button" onClick={() => window.location.reload()}>
          Load it again
        </button>
      </div>
    );
  }
}
