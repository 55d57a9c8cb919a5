"""A web page that searches a gallery: by pictures, by a description, or by both.

    python tools/search_demo.py GALLERY
    python tools/search_demo.py GALLERY --host 0.0.0.0 --sign-in users.txt

It is served on this machine alone. On another address it needs `--sign-in`: a file of lines `name:password`.
"""

import argparse
import sys


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Serve a web page that searches a gallery.')
    parser.add_argument('gallery', help='folder of the gallery')
    parser.add_argument('--model', help="the gallery's checkpoint, where it is no longer where the gallery was made")
    parser.add_argument('--device', help='where to compute (default: a GPU if there is one)')
    parser.add_argument('--port', type=int, default=7860, help='port to listen on (default: 7860)')
    parser.add_argument('--host', default='127.0.0.1', help='address to listen on; any but 127.0.0.1 needs --sign-in')
    parser.add_argument('--sign-in', metavar='FILE', help='file of lines name:password; only these users may search')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args()


def main() -> None:
    """Serve the page until Ctrl-C."""
    args = parse_args()
    from cmdg_plugin.cli.one_line_errors import OneLineErrors

    with OneLineErrors(sys.argv[0], args.debug):
        import importlib.util

        from cmdg_plugin.gallery import Gallery
        from cmdg_plugin.gallery.serving import is_loopback, read_users, serving

        if importlib.util.find_spec('gradio') is None:
            sys.exit("search_demo.py: the page needs Gradio: pip install -e '.[demo]'")
        users = None if args.sign_in is None else read_users(args.sign_in)
        with (
            Gallery.open(args.gallery, args.model, args.device) as gallery,
            serving(gallery, args.host, args.port, users) as (address, wait),
        ):
            if not is_loopback(args.host):
                print(
                    f'Warning: whoever reaches {args.host} reaches this page, and passwords and pictures travel '
                    'unencrypted: put a proxy with HTTPS before it, or tunnel to 127.0.0.1 by ssh -L.',
                    file=sys.stderr,
                )
            print(f'Open {address} in a browser; Ctrl-C ends the page.', flush=True)
            wait()


if __name__ == '__main__':
    main()
