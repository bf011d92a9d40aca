"""Images in (code beside the shipped .gz).

datasets                    a set by name, file or folder         named_sets, download   the published ones
idx, arrays, archives       idx files, .npz, members of archives  class_folders          pictures in folders
images, pictures            what a person names as images         ink, blobs, grid       digits on paper
"""
